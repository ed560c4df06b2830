/* Every mixer by name, for the registry. */
#ifndef RN_MIXERS_MIXERS_H
#define RN_MIXERS_MIXERS_H

#include "mixers/mixer.h"

extern const rn_mixer rn_mixer_retention;

#endif
