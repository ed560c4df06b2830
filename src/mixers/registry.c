/* The mixers that there are. */
#include "mixers/mixers.h"

#include <string.h>

static const rn_mixer *const mixers[] = {
    &rn_mixer_retention,
};

const rn_mixer *rn_mixer_at(size_t index)
{
    return index < sizeof mixers / sizeof mixers[0] ? mixers[index] : NULL;
}

const rn_mixer *rn_mixer_find(const char *name)
{
    for (size_t i = 0; i < sizeof mixers / sizeof mixers[0]; i++)
        if (strcmp(mixers[i]->name, name) == 0) return mixers[i];
    return NULL;
}
