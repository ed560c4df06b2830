/* A group of tests with a folder of its own and one execution handle for all of them. */
#ifndef TEST_EXEC_FIXTURE_H
#define TEST_EXEC_FIXTURE_H

#include "retnet/exec.h"

#include "scratch.h"

static rn_exec *exec;

static inline int set_up(void **state)
{
    return scratch_open(state) || rn_exec_open(&exec, NULL, NULL);
}

static inline int tear_down(void **state)
{
    rn_exec_close(exec);
    return scratch_close(state);
}

#endif
