//! providers
pub mod adapter;
