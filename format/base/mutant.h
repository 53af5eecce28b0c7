/* Protections that can be switched off, one at a time, in one build: `make mutation` sees a test go red for each. In every
 * other build the condition is constant, and nothing of it is left. tests/mutation/mutants lists the numbers. */
#ifndef AQ_FORMAT_BASE_MUTANT_H
#define AQ_FORMAT_BASE_MUTANT_H

#include <stdbool.h>

#ifdef AQ_MUTANTS
#include <stdlib.h>

/** Whether the protection with this number is off: AQ_MUTANT in the environment names it. @thread Any. */
static inline bool aq_mutant(unsigned long number)
{
    const char *chosen = getenv("AQ_MUTANT");
    return chosen != NULL && strtoul(chosen, NULL, 10) == number;
}
#else
static inline bool aq_mutant(unsigned long number)
{
    (void)number;
    return false;
}
#endif

#endif
