//! What may panic, tried.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What `act` answers, or the words of its panic. What it left half done is not to be looked at again.
pub(super) fn attempt<T>(act: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(act)).map_err(|payload| format!("it panicked: {}", words(payload.as_ref())))
}

fn words(payload: &(dyn Any + Send)) -> &str {
    let owned = payload.downcast_ref::<String>().map(String::as_str);
    owned.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("without a word")
}
