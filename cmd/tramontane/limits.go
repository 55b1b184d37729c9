package main

import (
	"errors"
	"strconv"
	"time"
)

// A turnsFlag is --max-turns: zero if it is not given.
type turnsFlag int

func (f *turnsFlag) Set(s string) error {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		return errors.New("want a number from 1 on")
	}
	*f = turnsFlag(n)
	return nil
}

func (f *turnsFlag) String() string { return "" } // no default to show
func (f *turnsFlag) Type() string   { return "number" }

// A timeFlag is --timeout: zero if it is not given.
type timeFlag time.Duration

func (f *timeFlag) Set(s string) error {
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 {
		return errors.New("want a time above zero with its unit, such as 90s or 5m")
	}
	*f = timeFlag(d)
	return nil
}

func (f *timeFlag) String() string { return "" } // no default to show
func (f *timeFlag) Type() string   { return "duration" }
