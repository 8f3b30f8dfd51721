package main

import "time"

// bench measures and prints; what falls short stays in the table as it is.
func bench() []stage {
	return []stage{
		{"tools", time.Minute, need("gcc")},
		{"JavaScript component", 2 * time.Minute, javascript},
		{"programs", 6 * time.Minute, run("make", "build")},
		{"bench", 10 * time.Minute, run("go", "run", "./test/bench")},
	}
}
