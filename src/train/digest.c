/* The hash that ties the files of a checkpoint together, of a whole file. */
#include "core/file.h"
#include "train/train.h"

rn_status rn_digest_file(const char *path, rn_file_digest *out, rn_error *err)
{
    rn_map map;
    rn_status st = rn_map_open(&map, path, err);
    if (st) return st;
    *out = (rn_file_digest){.bytes = map.size, .hash = rn_digest(map.data, map.size)};
    rn_map_close(&map);
    return RN_OK;
}
