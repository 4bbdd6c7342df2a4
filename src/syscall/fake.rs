//! Stands in for the kernel in unit tests and in fuzzing.

use super::{Call, Errno};
use std::cell::RefCell;

/// Answers a call, or lets the kernel answer it (`None`).
type Fake = Box<dyn FnMut(&mut Call<'_, '_>) -> Option<Result<i64, Errno>>>;

thread_local! {
    static FAKE: RefCell<Option<Fake>> = const { RefCell::new(None) };
}

pub(super) fn intercept(call: &mut Call<'_, '_>) -> Option<Result<i64, Errno>> {
    FAKE.with_borrow_mut(|fake| fake.as_mut().and_then(|fake| fake(call)))
}

/// Runs `body` on this thread with `fake` in the kernel's place.
pub(crate) fn with<T>(
    fake: impl FnMut(&mut Call<'_, '_>) -> Option<Result<i64, Errno>> + 'static,
    body: impl FnOnce() -> T,
) -> T {
    struct Reset;
    impl Drop for Reset {
        fn drop(&mut self) {
            FAKE.set(None);
        }
    }
    FAKE.set(Some(Box::new(fake)));
    let _reset = Reset;
    body()
}

/// A descriptor for a fake to return where the kernel would make one: harmless and open.
pub(crate) fn descriptor() -> Result<i64, Errno> {
    use std::os::fd::IntoRawFd;
    let file = std::fs::File::open("/dev/null").map_err(|e| Errno::of(&e))?;
    Ok(i64::from(file.into_raw_fd()))
}
