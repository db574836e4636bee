"""Options go in; each command of training does what it says: parse, call, print. One file each."""
