//! `structuredClone` by V8's own serializer.

use std::cell::RefCell;

use deno_core::{
    op2,
    v8::{self, ValueDeserializerHelper as _, ValueSerializerHelper as _},
};

/// Keeps why a value cannot be cloned, to tell it from what the guest's own getters throw.
#[derive(Default)]
struct Refusal<'a>(Option<&'a RefCell<Option<String>>>);

impl v8::ValueSerializerImpl for Refusal<'_> {
    fn throw_data_clone_error<'s>(
        &self,
        scope: &mut v8::PinScope<'s, '_>,
        message: v8::Local<'s, v8::String>,
    ) {
        if let Some(refused) = self.0 {
            refused.replace(Some(message.to_rust_string_lossy(scope)));
        }
        let error = v8::Exception::error(scope, message);
        scope.throw_exception(error);
    }
}

impl v8::ValueDeserializerImpl for Refusal<'_> {}

/// `[clone]`, or the reason as text why there is none. Throws what the value's own getters throw.
#[op2(reentrant)]
pub(super) fn op_web_clone<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    value: v8::Local<'s, v8::Value>,
) -> v8::Local<'s, v8::Value> {
    let refused = RefCell::new(None);
    let context = scope.get_current_context();
    v8::tc_scope!(let scope, scope);
    let serializer = v8::ValueSerializer::new(scope, Box::new(Refusal(Some(&refused))));
    serializer.write_header();
    let written = serializer.write_value(context, value);
    let bytes = serializer.release();
    if written != Some(true) {
        let reason = refused.borrow_mut().take();
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
    let deserializer = v8::ValueDeserializer::new(scope, Box::new(Refusal::default()), &bytes);
    let read = deserializer.read_header(context).and_then(|_| deserializer.read_value(context));
    match read {
        Some(clone) => v8::Array::new_with_elements(scope, &[clone]).into(),
        None => {
            scope.rethrow();
            v8::undefined(scope).into()
        }
    }
}
