//! Runs a lesson of `lessons/` in a thread of a test, while the test does what the lesson is to see.

use std::error::Error;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// `run` of a lesson.
pub(crate) type Run = fn(&mut dyn Write, &mut dyn FnMut() -> bool) -> Result<(), Box<dyn Error>>;

/// One lesson at a time: `trace_pipe` has one reader, and what one test does another would see.
static ALONE: Mutex<()> = Mutex::new(());

/// The output so far.
#[derive(Clone, Default)]
struct Printed(Arc<Mutex<Vec<u8>>>);

impl Printed {
    fn lock(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Write for Printed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.lock().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A lesson that runs until it is stopped or dropped.
pub(crate) struct Lesson {
    printed: Printed,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<(), String>>>,
    _alone: MutexGuard<'static, ()>,
}

impl Lesson {
    /// Starts it, and waits until it has printed `heading`: then it is attached.
    #[track_caller]
    pub(crate) fn start(run: Run, heading: &str) -> Lesson {
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let (printed, stop) = (Printed::default(), Arc::new(AtomicBool::new(false)));
        let (mut out, asked) = (printed.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            loop {
                let outcome = run(&mut out, &mut || !asked.load(Ordering::Relaxed));
                let busy = outcome.as_ref().is_err_and(|error| {
                    matches!(error.downcast_ref(), Some(rawbpf::Error::TracePipeBusy { .. }))
                });
                if !busy || asked.load(Ordering::Relaxed) {
                    return outcome.map_err(|error| error.to_string());
                }
                // Another process reads it, and there is one reader at a time.
                std::thread::sleep(Duration::from_millis(10));
            }
        });
        let mut lesson = Lesson { printed, stop, thread: Some(thread), _alone: alone };
        lesson.wait_for(heading, |text| text.contains(heading), || {});
        lesson
    }

    /// The output of the lesson.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.printed.lock()).into_owned()
    }

    /// Does `cause` again and again, every tenth of a second, until what has been printed is `so`; gives that. A test
    /// fails that waits longer than half a minute.
    #[track_caller]
    pub(crate) fn wait_for(
        &mut self,
        what: &str,
        so: impl Fn(&str) -> bool,
        mut cause: impl FnMut(),
    ) -> String {
        let start = Instant::now();
        let mut caused = None;
        loop {
            let text = self.text();
            if so(&text) {
                return text;
            }
            if self.thread.as_ref().is_some_and(JoinHandle::is_finished) {
                self.join();
                panic!("it ended before {what:?}: {text}");
            }
            assert!(start.elapsed() < Duration::from_secs(30), "no {what:?} in: {text}");
            if caused.is_none_or(|at: Instant| at.elapsed() > Duration::from_millis(100)) {
                cause();
                caused = Some(Instant::now());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Ends it as Ctrl-C would; gives all that it has printed.
    #[track_caller]
    pub(crate) fn stop(mut self) -> String {
        self.join();
        self.text()
    }

    #[track_caller]
    fn join(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            match thread.join() {
                Ok(outcome) => assert_eq!(outcome, Ok(()), "the lesson failed"),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
    }
}

impl Drop for Lesson {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
