/* Signal handling; the flag is the program's one piece of global state. */
#define _POSIX_C_SOURCE 200809L
#include "interrupt.h"

#include "commands.h"

#include <signal.h>
#include <unistd.h>

static volatile sig_atomic_t interrupted; /* the signal's number */

static void remember(int signal_number)
{
    if (interrupted) _exit(CLI_INTERRUPTED);
    interrupted = signal_number;
}

static void remember_all(int signal_number)
{
    if (interrupted != SIGTERM) interrupted = signal_number;
}

static void leave(int signal_number)
{
    (void)signal_number;
    _exit(CLI_INTERRUPTED);
}

static void install(void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

void cli_interrupt_remember(void)
{
    install(remember);
}

void cli_interrupt_remember_all(void)
{
    install(remember_all);
}

void cli_interrupt_exit(void)
{
    install(leave);
    if (interrupted) _exit(CLI_INTERRUPTED);
}

bool cli_interrupted(void)
{
    return interrupted != 0;
}

bool cli_terminated(void)
{
    return interrupted == SIGTERM;
}

void cli_interrupt_forget(void)
{
    if (interrupted != SIGTERM) interrupted = 0;
}
