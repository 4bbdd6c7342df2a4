//! Programs that are run and not attached: those of `BEGIN`, `END` and `self:signal:SIGUSR1`.

use crate::bt::probe::AttachPoint;
use crate::error::Result;
use crate::program::{Program, TestRunOptions};

/// The programs, in the order of the script.
#[derive(Debug, Default)]
pub(super) struct Special(Vec<One>);

/// A program, and for how many probes of each kind it is.
#[derive(Debug)]
struct One {
    program: Program,
    begins: usize,
    ends: usize,
    signals: usize,
}

impl Special {
    /// Adds a program for some probes.
    pub(super) fn add<'p>(
        &mut self,
        program: Program,
        points: impl Iterator<Item = &'p AttachPoint> + Clone,
    ) {
        let count = |fits: fn(&AttachPoint) -> bool| points.clone().filter(|one| fits(one)).count();
        let begins = count(|point| *point == AttachPoint::Begin);
        let ends = count(|point| *point == AttachPoint::End);
        let signals = count(|point| matches!(point, AttachPoint::Signal(_)));
        self.0.push(One { program, begins, ends, signals });
    }

    /// Whether there are probes for a signal.
    pub(super) fn has_signals(&self) -> bool {
        self.0.iter().any(|one| one.signals > 0)
    }

    /// Runs the `BEGIN` probes.
    pub(super) fn begin(&self) -> Result<()> {
        self.run(|one| one.begins).map(drop)
    }

    /// Runs the `END` probes.
    pub(super) fn end(&self) -> Result<()> {
        self.run(|one| one.ends).map(drop)
    }

    /// Runs the probes for the signal; returns whether there are any.
    pub(super) fn signal(&self) -> Result<bool> {
        self.run(|one| one.signals)
    }

    fn run(&self, times: fn(&One) -> usize) -> Result<bool> {
        let mut any = false;
        for one in &self.0 {
            for _ in 0..times(one) {
                one.program.test_run_with(&TestRunOptions::new())?;
                any = true;
            }
        }
        Ok(any)
    }
}
