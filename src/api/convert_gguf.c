/* GGUF as a target of conversion. */
#include "api/convert.h"

rn_status rn_convert_gguf(const char *in, const char *out,
                          const rn_convert_options *options, rn_convert_report *report,
                          rn_error *err)
{
    (void)out, (void)options, (void)report;
    return rn_fail(err, RN_EUNSUPPORTED, "%s: GGUF files are not written", in);
}
