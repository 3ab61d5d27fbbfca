// SPDX-License-Identifier: Apache-2.0
// The process that keeps a pod's namespaces: it sleeps until told to end, and takes in orphans. With an argument it ends at once and
// well, since kubeadm's health check before an upgrade runs it as "pause -v".
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    sigset_t set;
    int signal_number;

    (void)argv;
    if (argc > 1)
        return 0;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, NULL);
    while (sigwait(&set, &signal_number) == 0 && signal_number == SIGCHLD) {
        while (waitpid(-1, NULL, WNOHANG) > 0)
            ;
    }
    return 0;
}
