//! Denies a container's program access to abstract unix sockets and to
//! processes outside the container, even if it shares the machine's network:
//! Landlock's scopes. Abstract sockets have no permissions; session buses and X
//! servers listen on them.

use landlock::{
    ABI, Access, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetError, RulesetStatus, Scope,
};

/// The first version that has scopes: Linux 6.12.
const WITH_SCOPES: ABI = ABI::V6;

/// Restricts this thread and its later children, if the kernel supports it.
/// Also sets `no_new_privs`.
pub(super) fn apply() -> Result<(), RulesetError> {
    let restricted = Ruleset::default()
        .scope(Scope::from_all(WITH_SCOPES))?
        .create()?
        .restrict_self()?;
    if restricted.ruleset != RulesetStatus::FullyEnforced {
        tracing::debug!("this kernel has no scopes of landlock");
    }
    Ok(())
}

/// Whether the kernel supports Landlock's scopes.
pub fn is_available() -> bool {
    let ruleset = Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
    let scoped = ruleset.scope(Scope::from_all(WITH_SCOPES));
    scoped.and_then(Ruleset::create).is_ok()
}
