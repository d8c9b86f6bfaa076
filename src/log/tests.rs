//! Tests of the log as a whole, by idea; `world` is the bench that they share.

mod damage;
mod failure;
mod fixture;
mod history;
mod ledger;
mod opening;
mod pool;
mod reading;
mod stress;
mod world;
