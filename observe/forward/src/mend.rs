//! What a queue does when its own disk or its own history is not as it was: it opens its log again after a failure of the disk, and finds what another
//! side says it has. It sends nothing.

use std::time::Duration;

use observe_block::{BlockError, Damage, Wal, WalCursor};
use observe_wire::delivery::Mark;

use crate::batch::take;
use crate::outcome::Told;
use crate::queue::{Queue, nanos};

/// A log that failed is opened again after so long, and again.
const MEND_PERIOD: Duration = Duration::from_secs(5);

impl Queue {
    /// Why nothing can be put into it, if so. What is in it is sent all the same.
    pub fn trouble(&self) -> Option<String> {
        self.wal.trouble().map(|error| error.to_string())
    }

    /// What was found lost when the log was opened again, for a person; told once.
    pub fn take_damage(&mut self) -> Vec<Damage> {
        std::mem::take(&mut self.damage)
    }

    /// Opens the log again as after a crash. What was acknowledged is there, if the disk has it; what was refused with an error may be.
    pub(crate) fn mend(&mut self) -> Result<(), BlockError> {
        let now_ns = self.world.clock.monotonic_ns();
        if self.wal.trouble().is_none() || now_ns < self.mend_after_ns {
            return Ok(());
        }
        self.mend_after_ns = now_ns.saturating_add(nanos(MEND_PERIOD));
        let folder = self.folder.join("wal");
        let (wal, replay) = Wal::open(&self.world, &folder, self.wal_settings(), self.manifest.wal_covered)?;
        self.damage.extend(replay.report.damage);
        // Where the disk lost the end, its numbers are given again: whatever has them then is not sent yet.
        let last = wal.last_lsn();
        let anew = |cursor: &WalCursor| WalCursor::after(cursor.position().min(last));
        self.settled = anew(&self.settled);
        if let Some((_, behind)) = &mut self.sending {
            *behind = anew(behind);
        }
        self.wal = wal;
        Ok(())
    }

    /// The other side says that it has stored ours up to `mark`. If that message is there and the same, it is so, and the rest follows. If not, we
    /// are not who it knows: what we have is sent under another name, rather twice than never.
    pub(crate) fn stored(&mut self, mark: Mark) -> Result<Told, BlockError> {
        let mut at = self.settled.clone();
        let mut items = 0;
        while let Some(frame) = self.wal.read_next(&mut at)? {
            let Ok(one) = take(&frame) else { break };
            items += one.items;
            if one.last == mark {
                self.figures.sent_items += items;
                return Ok(self.settle(at));
            }
            if frame.seq >= mark.through {
                break;
            }
        }
        self.rename();
        Ok(Told::Renamed)
    }
}
