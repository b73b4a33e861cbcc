// The floating-point mode of a thread. Must not know what is computed in it.
#pragma once

namespace thetac {
namespace {

// Puts the calling thread into the default mode (round to nearest, denormal numbers as they are), and restores the mode
// that it was in when the object goes out of scope. Results then do not depend on what the caller has set, which
// `torch.set_flush_denormal` changes for one thread only.
class DefaultFloatMode {
public:
#ifdef __SSE2__
    DefaultFloatMode() : before_(__builtin_ia32_stmxcsr()) { __builtin_ia32_ldmxcsr(DEFAULT); }
    // Exception flags that were raised stay raised, as after any arithmetic.
    ~DefaultFloatMode() { __builtin_ia32_ldmxcsr(before_ | (__builtin_ia32_stmxcsr() & EXCEPTIONS)); }

    DefaultFloatMode(const DefaultFloatMode&) = delete;
    DefaultFloatMode& operator=(const DefaultFloatMode&) = delete;

private:
    static constexpr unsigned DEFAULT = 0x1F80, EXCEPTIONS = 0x3F;  // bits of MXCSR

    const unsigned before_;
#else  // other processors have no mode that torch changes
    DefaultFloatMode() {}
#endif
};

}  // namespace
}  // namespace thetac
