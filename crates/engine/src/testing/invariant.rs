//! What must hold.

use core::fmt;

/// What must hold, by name. Its text is the sentence that a [`Violation`](super::Violation) begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Invariant {
    /// A policy decides in every situation, and takes any words for its memory, without a panic.
    PolicyNeverPanics,
    /// One share per enabled flavour, in the order of the menu: none for one that is disabled.
    OneSharePerFlavour,
    /// Every share is in [0, 1].
    SharesAreShares,
    /// Shares sum to 1, and the mean precision is theirs.
    SharesSumToOne,
    /// Every figure beside the shares is finite, and within its range.
    FiguresAreFinite,
    /// Nothing of the decision before is left in a decision.
    DecisionsAreWhole,
    /// The same situations in the same order give the same decisions.
    SameSituationsSameDecisions,
    /// A policy that is told its memory goes on as the one that said it.
    MemoryGoesOn,
    /// Words that a policy cannot have said leave it as it is.
    ForeignMemoryIsLeft,
    /// A policy that looks ahead keeps to the guard of the error budget, and says so for the whole-number weights.
    KeepsToTheGuard,
    /// Weights are whole, sum to 100 and 1000, and a disabled flavour has none.
    WeightsAreWhole,
    /// A document is JSON without null.
    DocumentsAreJson,
    /// The same inputs in the same order publish the same bytes.
    SameInputsSameBytes,
    /// An engine that was written down publishes the bytes of the one that lived on.
    WrittenDownGoesOn,
    /// A store works without a panic, and without an error where nothing is wrong.
    StoreWorks,
    /// A store without a base hands out nothing.
    EmptyStoreIsEmpty,
    /// The newest whole base comes first, its parts as they were committed, in order.
    BaseComesFirst,
    /// A base of which parts are missing is no base.
    UnfinishedBaseIsNone,
    /// Every record after the base follows, as it was committed, in order, under its number.
    RecordsFollow,
    /// What was committed is there when the store is opened anew.
    CommittedLasts,
    /// A healed store has no record from the given number on, and takes that number again.
    HealedForgets,
    /// What `take` refuses ends the load, with its error.
    LoadStopsWhereTold,
    /// What was refused leaves all that was committed before, and is there whole or not at all.
    RefusedLeavesTheRest,
    /// After a failure nothing is committed before the store was healed.
    NothingBeforeHealed,
    /// What is told to fail fails: otherwise nothing was tried.
    FaultsAreNoticed,
    /// A publisher shows the newest view of each schedule, and none that is gone.
    NewestViewIsShown,
}

impl Invariant {
    /// Every one of them.
    pub const ALL: [Self; 26] = [
        Self::PolicyNeverPanics,
        Self::OneSharePerFlavour,
        Self::SharesAreShares,
        Self::SharesSumToOne,
        Self::FiguresAreFinite,
        Self::DecisionsAreWhole,
        Self::SameSituationsSameDecisions,
        Self::MemoryGoesOn,
        Self::ForeignMemoryIsLeft,
        Self::KeepsToTheGuard,
        Self::WeightsAreWhole,
        Self::DocumentsAreJson,
        Self::SameInputsSameBytes,
        Self::WrittenDownGoesOn,
        Self::StoreWorks,
        Self::EmptyStoreIsEmpty,
        Self::BaseComesFirst,
        Self::UnfinishedBaseIsNone,
        Self::RecordsFollow,
        Self::CommittedLasts,
        Self::HealedForgets,
        Self::LoadStopsWhereTold,
        Self::RefusedLeavesTheRest,
        Self::NothingBeforeHealed,
        Self::FaultsAreNoticed,
        Self::NewestViewIsShown,
    ];

    /// As a sentence.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PolicyNeverPanics => "a policy decides without a panic",
            Self::OneSharePerFlavour => "there is one share per enabled flavour",
            Self::SharesAreShares => "every share is in [0, 1]",
            Self::SharesSumToOne => "shares sum to 1, and the mean precision is theirs",
            Self::FiguresAreFinite => "figures are finite and within their range",
            Self::DecisionsAreWhole => "nothing of the decision before is left",
            Self::SameSituationsSameDecisions => "the same situations give the same decisions",
            Self::MemoryGoesOn => "told its memory, a policy goes on as the one that said it",
            Self::ForeignMemoryIsLeft => "words that a policy cannot have said leave it as it is",
            Self::KeepsToTheGuard => "a policy that looks ahead keeps to the guard",
            Self::WeightsAreWhole => "weights sum to 100 and 1000, none of them a disabled flavour's",
            Self::DocumentsAreJson => "a document is JSON without null",
            Self::SameInputsSameBytes => "the same inputs publish the same bytes",
            Self::WrittenDownGoesOn => "what was written down publishes the bytes of what lived on",
            Self::StoreWorks => "a store works where nothing is wrong",
            Self::EmptyStoreIsEmpty => "a store without a base hands out nothing",
            Self::BaseComesFirst => "the newest whole base comes first, part by part",
            Self::UnfinishedBaseIsNone => "a base of which parts are missing is no base",
            Self::RecordsFollow => "every record after the base follows, in order",
            Self::CommittedLasts => "what was committed is there when the store is opened anew",
            Self::HealedForgets => "a healed store forgets from that number on, and takes it again",
            Self::LoadStopsWhereTold => "what `take` refuses ends the load",
            Self::RefusedLeavesTheRest => {
                "what was refused is there whole or not at all, and the rest is left"
            }
            Self::NothingBeforeHealed => "after a failure nothing is committed before the store was healed",
            Self::FaultsAreNoticed => "what is told to fail fails",
            Self::NewestViewIsShown => "a publisher shows the newest view of each schedule",
        }
    }
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
