/* The kernel table filled from the one list: every slot gets its reference. */
#include "kernels/kernels.h"

void rn_kernels_ref(rn_kernels *k)
{
#define RN_KERNEL(name, args, tolerance) k->name = rn_##name##_ref;
#include "kernels/kernels.def"
#undef RN_KERNEL
}
