//! The output of the program: the table, JSON documents, the log and the exit status. Foreign text is escaped here.

pub mod ci;
pub mod exit_status;
pub mod log;
pub mod one_line;
pub mod progress;
pub mod report;
pub mod stderr;
pub mod stdout;
pub mod suggestions;
pub mod table;
pub mod timeline;
pub mod warnings;
