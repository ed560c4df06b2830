/* Ctrl-C and SIGTERM: noticed between two steps, or at once where nothing can be saved.
 */
#ifndef RN_CLI_INTERRUPT_H
#define RN_CLI_INTERRUPT_H

#include <stdbool.h>

/* From now on the first signal is remembered for cli_interrupted; a second one ends the
   program at once with exit code 130. Files take their names whole, so that nothing is
   left half-written under one. */
void cli_interrupt_remember(void);

/* The same without an end: for who comes back to a prompt. */
void cli_interrupt_remember_all(void);

/* From now on they end the program with exit code 130; at once when one came already. */
void cli_interrupt_exit(void);

bool cli_interrupted(void);

/* Whether SIGTERM was among them, which is not to be forgotten. */
bool cli_terminated(void);

/* Ctrl-C was for something that has ended now. */
void cli_interrupt_forget(void);

#endif
