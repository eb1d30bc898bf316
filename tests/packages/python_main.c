// Turns a program that embeds Python into `python3`: its `main` becomes that of Python, which reads the arguments.
// The loader preloads it. See `musl_python` in scripts/cross.
#define _GNU_SOURCE
#include <dlfcn.h>

typedef int program(int, char **, char **);
typedef int start(program *, int, char **, void *, void *, void *);

int __libc_start_main(program *main, int argc, char **argv, void *init, void *fini, void *end) {
  program *python = (program *)dlsym(RTLD_DEFAULT, "Py_BytesMain");
  start *real = (start *)dlsym(RTLD_NEXT, "__libc_start_main");
  return real(python ? python : main, argc, argv, init, fini, end);
}
