/* TFRecord framing; see tfrecord.h. Records are few and short, so the checksum goes four
   bits at a time with a table that fits on a line. */
#include "formats/tfrecord.h"

/* The remainder of each value of four bits, divided by the reflected polynomial. */
static const uint32_t remainders[16] = {
    0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3,
    0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
    0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
};

uint32_t rn_crc32c(const void *bytes, size_t count)
{
    const unsigned char *p = bytes;
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < count; i++) {
        crc ^= p[i];
        crc = crc >> 4 ^ remainders[crc & 15];
        crc = crc >> 4 ^ remainders[crc & 15];
    }
    return ~crc;
}

uint32_t rn_crc32c_masked(const void *bytes, size_t count)
{
    uint32_t crc = rn_crc32c(bytes, count);
    return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

static void put_little(unsigned char *to, uint64_t value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) to[i] = (unsigned char)(value >> 8 * i);
}

void rn_tfrecord_frame(unsigned char head[RN_TFRECORD_HEAD],
                       unsigned char tail[RN_TFRECORD_TAIL], const void *bytes,
                       size_t count)
{
    put_little(head, count, 8);
    put_little(head + 8, rn_crc32c_masked(head, 8), 4);
    put_little(tail, rn_crc32c_masked(bytes, count), 4);
}
