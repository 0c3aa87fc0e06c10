#include <gcrypt.h>

// gcry_control is variadic, which Swift cannot call.
static inline void hf_gcrypt_initialize(void) {
  gcry_control(GCRYCTL_DISABLE_SECMEM, 0);
  gcry_control(GCRYCTL_INITIALIZATION_FINISHED, 0);
}
