/* Models of the tests of GGUF, made and converted in the test's own folder. */
#ifndef TEST_GGUF_FIXTURE_H
#define TEST_GGUF_FIXTURE_H

#include "test.h"

#include "scratch.h"

#include "api/convert.h"
#include "core/file.h"
#include "formats/gguf_model.h"

static rn_exec *exec;

static inline void make_model(const char *config, const char *folder)
{
    rn_model *m = NULL;
    rn_model_source source = {.config_json = config};
    WORKS(rn_model_create(&m, exec, &source, 3, err));
    WORKS(rn_model_save(m, folder, err));
    rn_model_free(m);
}

static inline const char *convert(const char *in, const char *name)
{
    rn_convert_report report;
    const char *out = in_scratch(name);
    remove(out);
    WORKS(rn_convert_gguf(in, out, NULL, &report, err));
    size_t size;
    free(get_bytes(out, &size));
    assert_in_range(report.bytes_out, 1, size - 1);
    assert_true(report.tensors > 0 && report.lossy == 0);
    return out;
}

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
