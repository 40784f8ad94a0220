// SPDX-License-Identifier: GPL-2.0
/*
 * fsync() for tests: the file that $FAKE_SYNCED names is the disk. It gets what is in
 * the synced file, and nothing that is not synced. The linker puts this in its place.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

int __real_fsync(int fd);
int __wrap_fsync(int fd);

int __wrap_fsync(int fd)
{
	const char *disk = getenv("FAKE_SYNCED");
	char self[64];
	struct stat st;
	int in, out;

	if (!disk || fstat(fd, &st) || !S_ISREG(st.st_mode))
		return __real_fsync(fd);
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	in = open(self, O_RDONLY | O_CLOEXEC);
	out = open(disk, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	while (sendfile(out, in, NULL, 1 << 20) > 0)
		;
	close(in);
	close(out);
	return 0;
}
