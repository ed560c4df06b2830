/*
 * Status codes and error messages of the library.
 *
 * Every function that can fail returns an rn_status and takes an rn_error as its last
 * argument (NULL is allowed). On failure the outputs are untouched and the error holds
 * one line that names the file, tensor or option and the numbers. The library never
 * prints, exits or aborts on bad input.
 */
#ifndef RETNET_STATUS_H
#define RETNET_STATUS_H

#ifdef __cplusplus
extern "C" {
#endif

/** What happened. Zero is success, failures are negative. */
typedef enum rn_status {
    RN_OK = 0,
    RN_EINVAL = -1,  /**< an argument or option is out of range */
    RN_ENOMEM = -2,  /**< memory could not be had */
    RN_EIO = -3,     /**< the operating system refused a read, write, sync or rename */
    RN_EFORMAT = -4, /**< a file's contents are damaged or contradict each other */
    RN_EUNSUPPORTED = -5, /**< well formed, but not something this build can do */
    RN_ENOTFOUND = -6,    /**< a file, tensor, preset or key does not exist */
    RN_EEXIST = -7,       /**< the output exists and will not be overwritten */
    RN_EINTERRUPTED = -8  /**< stopped on request, after saving what can be saved */
} rn_status;

/** One error: the code and a line of text without a newline. Owned by the caller. */
typedef struct rn_error {
    rn_status status;
    char message[1000];
} rn_error;

/** A short English name of a status ("out of memory"). Static storage. */
const char *rn_status_text(rn_status status);

/** The library's version, "0.1.0". Static storage. */
const char *rn_version(void);

#ifdef __cplusplus
}
#endif
#endif
