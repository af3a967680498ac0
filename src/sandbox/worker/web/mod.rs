//! The native side of the web globals: bytes, strings, URLs, digests, clones, and the two
//! non-deterministic inputs, time and random numbers.
//!
//! Nothing here reaches outside the process. No function keeps its arguments, and memory that a
//! guest can grow is the guest's own (buffers are created in its heap and filled here), so its
//! limits hold.

mod bytes;
mod clone;
pub(super) mod entropy;
mod url;

deno_core::extension!(
    airlock_web,
    ops = [
        bytes::op_web_atob,
        bytes::op_web_btoa,
        bytes::op_web_decode,
        bytes::op_web_digest,
        bytes::op_web_encode_into,
        bytes::op_web_incomplete_tail,
        bytes::op_web_utf8_length,
        clone::op_web_clone,
        entropy::op_web_clock,
        entropy::op_web_clock_origin,
        entropy::op_web_random,
        entropy::op_web_tick,
        entropy::op_web_ticks,
        url::op_web_form_parse,
        url::op_web_form_serialize,
        url::op_web_url_parse,
        url::op_web_url_set,
    ],
);

macro_rules! module {
    ($file:literal) => {
        (
            concat!("ext:airlock/web/", $file),
            include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/runtime-js/web/", $file)),
        )
    };
}

/// The modules of the snapshot and their source. `install.ts` imports the others and exports the
/// globals.
pub(super) const MODULES: &[(&str, &str)] = &[
    module!("entropy.ts"),
    module!("date.ts"),
    module!("event.ts"),
    module!("text.ts"),
    module!("url.ts"),
    module!("crypto.ts"),
    module!("clone.ts"),
    module!("inspect.ts"),
    module!("console.ts"),
    module!("install.ts"),
];
