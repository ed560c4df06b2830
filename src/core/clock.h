/* Monotonic seconds for progress and rates; never part of a result. */
#ifndef RN_CORE_CLOCK_H
#define RN_CORE_CLOCK_H

double rn_seconds(void);

#endif
