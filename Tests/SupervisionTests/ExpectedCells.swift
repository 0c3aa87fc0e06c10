/// Situation to lines of `event | phase [slots] and what is under way: actions`. What is left out changes
/// nothing.
let expectedCells = cellsWhenStarting.merging(cellsWhenRunning) { $1 }.merging(cellsWhenStopping) { $1 }
  .merging(cellsWhenEnding) { $1 }.merging(cellsWhenAhead) { $1 }
