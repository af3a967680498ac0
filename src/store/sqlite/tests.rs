//! What only this implementation can show: plans of its statements.
