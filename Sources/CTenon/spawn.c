#define _GNU_SOURCE
#include "CTenon.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/types.h>

extern char **environ;

// Fills in what the child starts with: standard input from nowhere, both outputs appended to the
// log, and no other descriptor of ours (a node must not hold its parent's sockets and locks).
static int set_files(posix_spawn_file_actions_t *files, const char *log_path) {
    int error = posix_spawn_file_actions_addopen(files, 0, "/dev/null", O_RDONLY, 0);
    if (error != 0) return error;
    error = posix_spawn_file_actions_addopen(files, 1, log_path, O_WRONLY | O_CREAT | O_APPEND, 0644);
    if (error != 0) return error;
    error = posix_spawn_file_actions_adddup2(files, 1, 2);
    if (error != 0) return error;
    return posix_spawn_file_actions_addclosefrom_np(files, 3);
}

// A session of its own, so that it outlives the terminal, and signals as a fresh process has them:
// an ignored SIGINT of the parent would be inherited across exec.
static int set_attributes(posix_spawnattr_t *attributes) {
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    int error = posix_spawnattr_setsigmask(attributes, &none);
    if (error != 0) return error;
    error = posix_spawnattr_setsigdefault(attributes, &all);
    if (error != 0) return error;
    return posix_spawnattr_setflags(
        attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
}

int ctenon_spawn_detached(const char *path, char *const arguments[], const char *log_path) {
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    int error = posix_spawn_file_actions_init(&files);
    if (error != 0) return -error;
    error = posix_spawnattr_init(&attributes);
    if (error != 0) {
        posix_spawn_file_actions_destroy(&files);
        return -error;
    }
    pid_t child = 0;
    error = set_files(&files, log_path);
    if (error == 0) error = set_attributes(&attributes);
    if (error == 0) error = posix_spawn(&child, path, &files, &attributes, arguments, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    return error == 0 ? child : -error;
}
