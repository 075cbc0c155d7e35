//! Images on their way, one line each.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use protocol::event::{PullEvent, PushEvent};

use super::measure::{bytes, counted, duration, short_digest, short_name};
use super::sanitise::clean;

/// Cells of a progress bar.
const BAR: u64 = 20;
/// Layers that one image is believed to have: what claims more is not counted.
const LAYERS: usize = 10_000;

/// A pull or push that has not ended.
#[derive(Debug)]
pub(super) struct Transfer {
    verb: Verb,
    image: String,
    since: Duration,
    /// Layers or blobs that must travel.
    missing: u32,
    total: u64,
    done: HashMap<String, u64>,
    arrived: HashSet<String>,
    trouble: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Pull,
    Push,
}

impl Verb {
    fn doing(self) -> &'static str {
        match self {
            Self::Pull => "Pulling",
            Self::Push => "Pushing",
        }
    }
}

/// All images on their way.
#[derive(Debug, Default)]
pub(super) struct Transfers {
    open: Vec<Transfer>,
}

impl Transfers {
    /// Returns a line to keep, when there is something to keep.
    pub(super) fn pull(&mut self, event: &PullEvent, now: Duration) -> Option<Told> {
        match event {
            PullEvent::Resolved {
                image,
                missing,
                bytes,
                ..
            } => self.begin(Verb::Pull, image, (*missing, *bytes), now),
            PullEvent::Progress {
                image, layer, done, ..
            } => self.advance(Verb::Pull, image, layer, *done),
            PullEvent::LayerDone { image, layer } => self.arrive(image, layer),
            PullEvent::Retry {
                image,
                reason,
                millis,
            } => return Some(self.retry(image, reason, Duration::from_millis(*millis))),
            PullEvent::Done { image, digest } => return self.end(Verb::Pull, image, digest, now),
        }
        self.announce(image_of(event), matches!(event, PullEvent::Resolved { .. }))
    }

    /// Returns a line to keep, when there is something to keep.
    pub(super) fn push(&mut self, event: &PushEvent, now: Duration) -> Option<Told> {
        match event {
            PushEvent::Planned {
                image,
                missing,
                bytes,
                ..
            } => {
                self.begin(Verb::Push, image, (*missing, *bytes), now);
                self.announce(image, true)
            }
            PushEvent::Progress { image, done, .. } => {
                self.advance(Verb::Push, image, "", *done);
                None
            }
            PushEvent::Done { image, digest } => self.end(Verb::Push, image, digest, now),
        }
    }

    /// A live line for each image.
    pub(super) fn live(&self) -> Vec<String> {
        let moving = self.open.iter().filter(|it| it.missing > 0);
        moving.map(Transfer::line).collect()
    }

    fn begin(&mut self, verb: Verb, image: &str, missing: (u32, u64), now: Duration) {
        self.open.retain(|it| !it.is(verb, image));
        self.open.push(Transfer {
            verb,
            image: image.to_owned(),
            since: now,
            missing: missing.0,
            total: missing.1,
            done: HashMap::new(),
            arrived: HashSet::new(),
            trouble: None,
        });
    }

    fn advance(&mut self, verb: Verb, image: &str, part: &str, done: u64) {
        if let Some(transfer) = self.open.iter_mut().find(|it| it.is(verb, image))
            && (transfer.done.len() < LAYERS || transfer.done.contains_key(part))
        {
            transfer.trouble = None;
            transfer.done.insert(part.to_owned(), done);
        }
    }

    fn arrive(&mut self, image: &str, layer: &str) {
        if let Some(transfer) = self.open.iter_mut().find(|it| it.is(Verb::Pull, image))
            && transfer.arrived.len() < LAYERS
        {
            transfer.arrived.insert(layer.to_owned());
        }
    }

    fn retry(&mut self, image: &str, reason: &str, pause: Duration) -> Told {
        let told = format!("{reason}; trying again in {}", duration(pause));
        if let Some(transfer) = self.open.iter_mut().find(|it| it.image == image) {
            transfer.trouble = Some(told.clone());
        }
        Told::Passing(clean(&format!("{}: {told}", short_name(image))))
    }

    /// What a screen that cannot change its lines says at the beginning.
    fn announce(&self, image: &str, begins: bool) -> Option<Told> {
        let transfer = self.open.iter().rfind(|it| it.image == image)?;
        (begins && transfer.missing > 0 && !transfer.is_here()).then(|| {
            let verb = transfer.verb.doing();
            let thing = match transfer.verb {
                Verb::Pull => "layer",
                Verb::Push => "blob",
            };
            let (image, total) = (short_name(image), bytes(transfer.total));
            let count = counted(transfer.missing.into(), thing);
            let told = format!("{verb} {image}: {count}, {total}");
            Told::Passing(clean(&told))
        })
    }

    fn end(&mut self, verb: Verb, image: &str, digest: &str, now: Duration) -> Option<Told> {
        let index = self.open.iter().position(|it| it.is(verb, image))?;
        let transfer = self.open.remove(index);
        if verb == Verb::Pull && transfer.missing == 0 || transfer.is_here() {
            return None;
        }
        let word = match verb {
            Verb::Pull => "Pulled",
            Verb::Push => "Pushed",
        };
        let (image, total) = (short_name(image), bytes(transfer.total));
        let time = duration(now.saturating_sub(transfer.since));
        // A name with a digest says all, and what is fetched may be a part of
        // another image.
        let digest = if image.contains('@') {
            String::new()
        } else {
            format!(" ({})", short_digest(digest))
        };
        let told = format!("{word} {image}{digest}, {total} in {time}");
        Some(Told::Lasting(clean(&told)))
    }
}

/// A line about a transfer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// To be kept everywhere.
    Lasting(String),
    /// Only where there are no live lines.
    Passing(String),
}

impl Transfer {
    fn is(&self, verb: Verb, image: &str) -> bool {
        self.verb == verb && self.image == image
    }

    /// Everything has been fetched before, and is only unpacked: that is worth
    /// a word as long as it takes, and none afterwards.
    fn is_here(&self) -> bool {
        self.verb == Verb::Pull && self.total == 0
    }

    fn line(&self) -> String {
        let layers = counted(self.missing.into(), "layer");
        let layers = format!("{} of {layers}", self.arrived.len());
        if self.is_here() {
            let image = short_name(&self.image);
            return clean(&format!("Unpacking {image}, {layers}"));
        }
        let verb = self.verb.doing();
        let sum = self
            .done
            .values()
            .fold(0_u64, |sum, done| sum.saturating_add(*done));
        let done = sum.min(self.total);
        let filled = (done.saturating_mul(BAR))
            .checked_div(self.total)
            .unwrap_or(BAR);
        let bar = format!(
            "{}{}",
            cells('#', filled),
            cells('-', BAR - filled.min(BAR))
        );
        let layers = match self.verb {
            Verb::Pull => format!(", {layers}"),
            Verb::Push => String::new(),
        };
        let trouble = self.trouble.as_ref().map(|it| format!("; {it}"));
        let text = format!(
            "{verb} {} [{bar}] {} of {}{layers}{}",
            short_name(&self.image),
            bytes(done),
            bytes(self.total),
            trouble.unwrap_or_default(),
        );
        clean(&text)
    }
}

fn cells(cell: char, count: u64) -> String {
    (0..count.min(BAR)).map(|_| cell).collect()
}

fn image_of(event: &PullEvent) -> &str {
    match event {
        PullEvent::Resolved { image, .. }
        | PullEvent::Progress { image, .. }
        | PullEvent::LayerDone { image, .. }
        | PullEvent::Retry { image, .. }
        | PullEvent::Done { image, .. } => image,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_here_is_not_said_to_be_pulled() {
        let image = || "localhost:5000/run".to_owned();
        let mut transfers = Transfers::default();
        let resolved = PullEvent::Resolved {
            image: image(),
            digest: String::new(),
            layers: 7,
            missing: 5,
            bytes: 0,
        };
        assert_eq!(transfers.pull(&resolved, Duration::ZERO), None);
        let live = ["Unpacking localhost:5000/run, 0 of 5 layers"];
        assert_eq!(transfers.live(), live);
        let digest = format!("sha256:{}", "ab".repeat(32));
        let image = image();
        let done = PullEvent::Done { image, digest };
        assert_eq!(transfers.pull(&done, Duration::from_secs(1)), None);
    }
}
