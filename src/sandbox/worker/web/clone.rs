//! `structuredClone` by V8's own serializer.

use std::cell::RefCell;

use deno_core::{
    op2,
    v8::{self, ValueDeserializerHelper as _, ValueSerializerHelper as _},
};

/// Keeps the reason for which a value cannot be cloned, to distinguish it from an exception of the
/// guest's own getters.
#[derive(Default)]
struct CloneErrors<'a>(Option<&'a RefCell<Option<String>>>);

impl v8::ValueSerializerImpl for CloneErrors<'_> {
    fn throw_data_clone_error<'s>(
        &self,
        scope: &mut v8::PinScope<'s, '_>,
        message: v8::Local<'s, v8::String>,
    ) {
        if let Some(rejected) = self.0 {
            rejected.replace(Some(message.to_rust_string_lossy(scope)));
        }
        let error = v8::Exception::error(scope, message);
        scope.throw_exception(error);
    }
}

impl v8::ValueDeserializerImpl for CloneErrors<'_> {}

/// Returns `[clone]`, or the reason for which the value cannot be cloned. Throws what the value's
/// getters throw.
#[op2(reentrant)]
pub(super) fn op_web_clone<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    value: v8::Local<'s, v8::Value>,
) -> v8::Local<'s, v8::Value> {
    let rejected = RefCell::new(None);
    let context = scope.get_current_context();
    v8::tc_scope!(let scope, scope);
    let serializer = v8::ValueSerializer::new(scope, Box::new(CloneErrors(Some(&rejected))));
    serializer.write_header();
    let written = serializer.write_value(context, value);
    let bytes = serializer.release();
    if written != Some(true) {
        let reason = rejected.borrow_mut().take();
        if let Some(text) = reason
            .filter(|_| !scope.has_terminated())
            .and_then(|reason| v8::String::new(scope, &reason))
        {
            scope.reset();
            return text.into();
        }
        scope.rethrow();
        return v8::undefined(scope).into();
    }
    let deserializer = v8::ValueDeserializer::new(scope, Box::new(CloneErrors::default()), &bytes);
    let read = deserializer.read_header(context).and_then(|_| deserializer.read_value(context));
    match read {
        Some(clone) => v8::Array::new_with_elements(scope, &[clone]).into(),
        None => {
            scope.rethrow();
            v8::undefined(scope).into()
        }
    }
}
