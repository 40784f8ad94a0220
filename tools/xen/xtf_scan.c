// SPDX-License-Identifier: GPL-2.0
/* The tests of a checkout of the Xen Test Framework. */
#include <dirent.h>
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libvm.h"
#include "xtf.h"

static bool is_wanted(const struct xtf_test *t, const char *const *wanted,
		      size_t n)
{
	char image[256];
	size_t i;

	if (!n)
		return true;
	snprintf(image, sizeof(image), "test-%s-%s", t->env, t->name);
	for (i = 0; i < n; i++)
		if (!strcmp(wanted[i], t->name) || !strcmp(wanted[i], image) ||
		    !strcmp(wanted[i], image + strlen("test-")))
			return true;
	return false;
}

static void free_test(struct xtf_test *t)
{
	free(t->name);
	free(t->env);
	free(t->category);
	free(t->image);
	free(t->output);
}

void xtf_free(struct xtf_list *list)
{
	while (list->n)
		free_test(&list->tests[--list->n]);
	free(list->tests);
	list->tests = NULL;
}

static int no_memory(void)
{
	return lv_fail(ENOMEM, "no memory for the list of tests");
}

static int add(struct xtf_list *list, const struct xtf_test *t)
{
	struct xtf_test *more;

	more = reallocarray(list->tests, list->n + 1, sizeof(*more));
	if (!more)
		return no_memory();
	list->tests = more;
	list->tests[list->n++] = *t;
	return 0;
}

static int add_image(struct xtf_list *list, const char *dir, const char *name,
		     const char *env, const char *category,
		     const char *const *wanted, size_t n_wanted)
{
	struct xtf_test t = {
		.name = strdup(name),
		.env = strdup(env),
		.category = strdup(category),
	};
	int ret = 0;

	if (!t.name || !t.env || !t.category ||
	    asprintf(&t.image, "%s/tests/%s/test-%s-%s", dir, name, env, name) <
		    0) {
		t.image = NULL;
		ret = no_memory();
		goto drop;
	}
	if (!is_wanted(&t, wanted, n_wanted))
		goto drop;
	if (!strncmp(env, "pv", 2)) {
		list->pv++;
		goto drop;
	}
	if (access(t.image, R_OK)) {
		list->missing++;
		goto drop;
	}
	ret = add(list, &t);
	if (!ret)
		return 0;
drop:
	free_test(&t);
	return ret;
}

static const char *string_of(struct json_object *o, const char *key)
{
	struct json_object *v;

	return json_object_object_get_ex(o, key, &v) &&
			       json_object_is_type(v, json_type_string) ?
		       json_object_get_string(v) :
		       NULL;
}

static int read_info(struct xtf_list *list, const char *dir, const char *sub,
		     const char *const *wanted, size_t n_wanted)
{
	struct json_object *o, *envs;
	const char *name, *category;
	char path[4096];
	int ret = 0;
	size_t i;

	if (snprintf(path, sizeof(path), "%s/tests/%s/info.json", dir, sub) >=
	    (int)sizeof(path))
		return lv_fail(ENAMETOOLONG, "%s: too long a name", dir);
	if (access(path, F_OK))
		return 0; /* not built, or no test */
	o = json_object_from_file(path);
	name = o ? string_of(o, "name") : NULL;
	category = o ? string_of(o, "category") : NULL;
	if (!name || !category || strchr(name, '/') ||
	    !json_object_object_get_ex(o, "environments", &envs) ||
	    !json_object_is_type(envs, json_type_array)) {
		json_object_put(o);
		return lv_fail(
			EINVAL,
			"%s does not describe a test; is the checkout built?",
			path);
	}
	for (i = 0; !ret && i < json_object_array_length(envs); i++) {
		const char *env = json_object_get_string(
			json_object_array_get_idx(envs, i));

		if (env && !strchr(env, '/'))
			ret = add_image(list, dir, name, env, category, wanted,
					n_wanted);
	}
	json_object_put(o);
	return ret;
}

int xtf_scan(struct xtf_list *list, const char *dir, const char *const *wanted,
	     size_t n_wanted)
{
	struct dirent **subs;
	char path[4096];
	int n, i, ret = 0;

	*list = (struct xtf_list){ 0 };
	snprintf(path, sizeof(path), "%s/tests", dir);
	n = scandir(path, &subs, NULL, alphasort);
	if (n < 0)
		return lv_fail(
			errno,
			"cannot read %s: %s; DIR is a built checkout of the Xen "
			"Test Framework",
			path, strerror(errno));
	for (i = 0; i < n; i++) {
		if (!ret && subs[i]->d_name[0] != '.')
			ret = read_info(list, dir, subs[i]->d_name, wanted,
					n_wanted);
		free(subs[i]);
	}
	free(subs);
	if (ret)
		xtf_free(list);
	return ret;
}
