/* TFRecord framing: length, checksum of the length, bytes, checksum of the bytes. */
#ifndef RN_FORMATS_TFRECORD_H
#define RN_FORMATS_TFRECORD_H

#include <stddef.h>
#include <stdint.h>

/* CRC-32C (Castagnoli, polynomial 0x1EDC6F41, reflected; RFC 3720, B.4). */
uint32_t rn_crc32c(const void *bytes, size_t count);

/* The form in which TFRecord stores it: rotated and shifted, so that the checksum of a
   text with checksums in it is no fixed number. */
uint32_t rn_crc32c_masked(const void *bytes, size_t count);

enum { RN_TFRECORD_HEAD = 12, RN_TFRECORD_TAIL = 4 };

/* What stands before and after a record of these bytes, little-endian. */
void rn_tfrecord_frame(unsigned char head[RN_TFRECORD_HEAD],
                       unsigned char tail[RN_TFRECORD_TAIL], const void *bytes,
                       size_t count);

#endif
