/* The interpreter inside the self-contained package, in the place of CPython's Programs/python.c.
 *
 * Nothing of the host decides what it runs: no environment variable, no user's directory, no current directory, no
 * `site`, and no bytecode is written. Its library is where it lies itself: ../../lib/mcd-rt/python from its own file.
 * Called `python` it takes Python's arguments (the agent starts its workers so); by any other name it is `mcd-rt`.
 */
#include <Python.h>

#include <libgen.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

static PyStatus set_string(PyConfig *config, wchar_t **field, const char *format, const char *top)
{
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, format, top) >= (int)sizeof path)
        return PyStatus_Error("the path of the interpreter is too long");
    return PyConfig_SetBytesString(config, field, path);
}

static PyStatus add_search_path(PyConfig *config, const char *format, const char *top)
{
    wchar_t *path = NULL;
    PyStatus status = set_string(config, &path, format, top);
    if (!PyStatus_Exception(status))
        status = PyWideStringList_Append(&config->module_search_paths, path);
    PyMem_RawFree(path);
    return status;
}

static PyStatus configure(PyConfig *config, int argc, char **argv, const char *top)
{
    PyStatus status;
    const char *name = strrchr(argv[0], '/');
    int is_python = strcmp(name ? name + 1 : argv[0], "python") == 0;

    config->isolated = 1;
    config->use_environment = 0;
    config->user_site_directory = 0;
    config->site_import = 0;
    config->safe_path = 1;
    config->write_bytecode = 0;
    config->pathconfig_warnings = 0;
    config->module_search_paths_set = 1;
    config->parse_argv = is_python;

#define TRY(call) do { status = (call); if (PyStatus_Exception(status)) return status; } while (0)
    TRY(PyConfig_SetBytesArgv(config, argc, argv));
    if (!is_python)
        TRY(PyConfig_SetString(config, &config->run_module, L"mcd_rt"));
    TRY(set_string(config, &config->executable, "%s/libexec/mcd-rt/python", top));
    TRY(set_string(config, &config->base_executable, "%s/libexec/mcd-rt/python", top));
    TRY(set_string(config, &config->prefix, "%s", top));
    TRY(set_string(config, &config->base_prefix, "%s", top));
    TRY(set_string(config, &config->exec_prefix, "%s", top));
    TRY(set_string(config, &config->base_exec_prefix, "%s", top));
    TRY(add_search_path(config, "%s/lib/mcd-rt/python/stdlib", top));
    TRY(add_search_path(config, "%s/lib/mcd-rt/python/site-packages", top));
#undef TRY
    return status;
}

int main(int argc, char **argv)
{
    PyPreConfig before;
    PyConfig config;
    PyStatus status;
    char self[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);

    if (length < 0 || argc < 1) {
        fputs("mcd-rt: internal-error: /proc/self/exe cannot be read: is /proc mounted?\n", stderr);
        return 1;
    }
    self[length] = '\0';
    /* A node's language may be anything or missing: files and messages are UTF-8. */
    PyPreConfig_InitIsolatedConfig(&before);
    before.utf8_mode = 1;
    status = Py_PreInitialize(&before);
    if (PyStatus_Exception(status))
        Py_ExitStatusException(status);
    PyConfig_InitPythonConfig(&config);
    status = configure(&config, argc, argv, dirname(dirname(dirname(self))));
    if (!PyStatus_Exception(status))
        status = Py_InitializeFromConfig(&config);
    PyConfig_Clear(&config);
    if (PyStatus_Exception(status))
        Py_ExitStatusException(status);
    return Py_RunMain();
}
