/* config.json of any dialect: read, translated, and looked at by the model. */
#define _DEFAULT_SOURCE
#include "memory_file.h"

#include "formats/checkpoint.h"
#include "model/model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *config, *unknown;
    const char *dialect;
    rn_error err;
    rn_config c = rn_config_defaults();
    if (rn_config_read_keys(memory_file("config.json", data, size), &config, &unknown,
                            &dialect, &err))
        return 0;
    if (!rn_config_apply(&c, config, &err) && !rn_config_check(&c, &err))
        json_decref(rn_config_json(&c));
    json_decref(config);
    json_decref(unknown);
    return 0;
}
