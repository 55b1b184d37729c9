package main

// terminalPath is the console of the process, whatever its standard input and
// output are.
const terminalPath = "CON"
