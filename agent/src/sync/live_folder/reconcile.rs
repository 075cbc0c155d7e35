//! Decides how to handle a path that differs between the two sides. The
//! decision is a pure function of the agreed state and of the current state of
//! each side.

use bincode::{Decode, Encode};

use crate::images::digest::Digest;

/// The version of a path on one side.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(super) enum Version {
    /// A directory, without its entries.
    Directory {
        /// Permission bits.
        mode: u16,
    },
    /// A regular file.
    File {
        /// Digest of its content.
        digest: Digest,
        /// Permission bits.
        mode: u16,
    },
    /// A symbolic link.
    Symlink {
        /// The target as the link contains it.
        target: Vec<u8>,
    },
}

/// How to handle a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    /// Both sides have the same version, which becomes the agreed one.
    Agree,
    /// The agent takes the host's version.
    Take,
    /// The host gets the agent's version.
    ToHost,
    /// Both sides have changed the path. The agent renames its own version,
    /// then takes the host's.
    Conflict,
}

/// The earlier state of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Base {
    /// Both sides had this version.
    Agreed(Option<Version>),
    /// A round was interrupted during a change, which may have been made or
    /// not.
    Underway(Underway),
}

/// A change of one side, which has one of these two versions unless it is
/// edited there. The other side was edited before the change.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(super) enum Underway {
    /// A change of the agent's side to the host's version.
    Taking([Option<Version>; 2]),
    /// A change of the host's side to the agent's version.
    Giving([Option<Version>; 2]),
}

/// Decides how to handle a path.
///
/// A change of only one side goes to the other. If both sides have changed the
/// path, the host's version stays; an edit takes precedence over a removal.
pub(super) fn reconcile(base: &Base, host: Option<&Version>, own: Option<&Version>) -> Decision {
    if host == own {
        return Decision::Agree;
    }
    if base.is_hosts(host) {
        return Decision::ToHost;
    }
    if base.is_own(own) {
        return Decision::Take;
    }
    match (host, own) {
        (None, _) => Decision::ToHost,
        (_, None) => Decision::Take,
        (Some(host), Some(own)) if host.holds_the_same(own) => Decision::Take,
        _ => Decision::Conflict,
    }
}

impl Base {
    /// Whether the host's version is unchanged.
    pub(super) fn is_hosts(&self, host: Option<&Version>) -> bool {
        match self {
            Self::Agreed(agreed) => agreed.as_ref() == host,
            Self::Underway(Underway::Taking(_)) => false,
            Self::Underway(Underway::Giving(either)) => has(either, host),
        }
    }

    /// Whether the agent's version is unchanged.
    pub(super) fn is_own(&self, own: Option<&Version>) -> bool {
        match self {
            Self::Agreed(agreed) => agreed.as_ref() == own,
            Self::Underway(Underway::Taking(either)) => has(either, own),
            Self::Underway(Underway::Giving(_)) => false,
        }
    }
}

fn has(either: &[Option<Version>; 2], version: Option<&Version>) -> bool {
    either.iter().any(|it| it.as_ref() == version)
}

impl Version {
    /// Whether two versions have the same content, whatever their modes.
    fn holds_the_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Directory { .. }, Self::Directory { .. }) => true,
            (Self::File { digest, .. }, Self::File { digest: other, .. }) => digest == other,
            (one, other) => one == other,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::option;
    use proptest::prelude::*;

    use super::*;

    fn version() -> impl Strategy<Value = Option<Version>> {
        let mode = prop_oneof![Just(0o644), Just(0o755)];
        let text = prop_oneof![Just("a"), Just("b"), Just("c")];
        option::weighted(
            0.8,
            prop_oneof![
                mode.clone().prop_map(|mode| Version::Directory { mode }),
                (text.clone(), mode).prop_map(|(text, mode)| Version::File {
                    digest: Digest::of(text.as_bytes()),
                    mode,
                }),
                text.prop_map(|text| Version::Symlink {
                    target: text.into()
                }),
            ],
        )
    }

    /// The state of one path on both sides.
    #[derive(Debug, Clone)]
    struct Sides {
        agreed: Option<Version>,
        host: Option<Version>,
        own: Option<Version>,
        /// The renamed version. It counts as new, so it goes to the host.
        aside: Option<Version>,
    }

    impl Sides {
        fn settle(&mut self) {
            let base = Base::Agreed(self.agreed.clone());
            let decision = reconcile(&base, self.host.as_ref(), self.own.as_ref());
            match decision {
                Decision::Agree => {}
                Decision::Take => self.own = self.host.clone(),
                Decision::ToHost => self.host = self.own.clone(),
                Decision::Conflict => {
                    self.aside = self.own.take();
                    self.own = self.host.clone();
                }
            }
            self.agreed = self.own.clone();
        }

        fn has(&self, version: &Version) -> bool {
            let all = [&self.host, &self.own, &self.aside];
            let mut all = all.into_iter().flatten();
            all.any(|it| it.holds_the_same(version))
        }
    }

    proptest! {
        #[test]
        fn both_sides_come_to_have_the_same_and_nothing_is_lost(
            agreed in version(),
            host in version(),
            own in version(),
        ) {
            let before = Sides { agreed, host, own, aside: None };
            let mut after = before.clone();
            after.settle();
            prop_assert_eq!(&after.host, &after.own);
            // Each version that a side made since the agreement still exists.
            for made in [&before.host, &before.own] {
                if let Some(made) = made.as_ref() && before.agreed.as_ref() != Some(made) {
                    prop_assert!(after.has(made));
                }
            }
            // A second round finds no difference.
            let settled = after.clone();
            after.settle();
            prop_assert_eq!(after.host, settled.host);
            prop_assert_eq!(
                reconcile(
                    &Base::Agreed(settled.agreed),
                    settled.own.as_ref(),
                    settled.own.as_ref(),
                ),
                Decision::Agree
            );
        }

        #[test]
        fn one_sided_changes_travel(agreed in version(), made in version()) {
            prop_assume!(agreed != made);
            let base = Base::Agreed(agreed.clone());
            let (agreed, made) = (agreed.as_ref(), made.as_ref());
            prop_assert_eq!(reconcile(&base, made, agreed), Decision::Take);
            prop_assert_eq!(reconcile(&base, agreed, made), Decision::ToHost);
        }

        /// Whether or not the change was made before the interruption, a later
        /// edit on the side that made it goes to the other side without a
        /// conflict.
        #[test]
        fn a_change_that_was_cut_off_is_made_again_or_followed_by_the_next(
            old in version(),
            cut in version(),
            next in version(),
            came in any::<bool>(),
        ) {
            let behind = if came { cut.as_ref() } else { old.as_ref() };
            let either = [old.clone(), cut.clone()];
            for now in [&cut, &next].into_iter().map(Option::as_ref) {
                prop_assume!(now != behind);
                let taking = Base::Underway(Underway::Taking(either.clone()));
                prop_assert_eq!(reconcile(&taking, now, behind), Decision::Take);
                let giving = Base::Underway(Underway::Giving(either.clone()));
                prop_assert_eq!(reconcile(&giving, behind, now), Decision::ToHost);
            }
        }

        #[test]
        fn the_hosts_version_keeps_its_name(host in version(), own in version()) {
            prop_assume!(host.is_some() && own.is_some() && host != own);
            let decision = reconcile(&Base::Agreed(None), host.as_ref(), own.as_ref());
            prop_assert!(matches!(decision, Decision::Take | Decision::Conflict));
        }
    }

    #[test]
    fn an_edit_wins_over_a_removal() {
        let file = |text: &str| Version::File {
            digest: Digest::of(text.as_bytes()),
            mode: 0o644,
        };
        let (old, new) = (file("old"), file("new"));
        let base = Base::Agreed(Some(old.clone()));
        let decide = |host, own| reconcile(&base, host, own);
        assert_eq!(decide(None, Some(&new)), Decision::ToHost);
        assert_eq!(decide(Some(&new), None), Decision::Take);
        assert_eq!(decide(None, None), Decision::Agree);
    }
}
