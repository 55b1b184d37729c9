package main

import (
	"context"
	"fmt"
	"net/http"

	"github.com/tramontane-dev/tramontane/mcptool"
)

// weatherStdio uses the server of weather.py as a local process.
func weatherStdio(ctx context.Context) error {
	s := &mcptool.Server{Name: "weather", Command: *python, Args: []string{*weatherPy}}
	defer s.Close()
	return weather(ctx, s)
}

// weatherSSE uses the same server over HTTP with SSE, with the header that it
// asks for and without.
func weatherSSE(ctx context.Context) error {
	port, err := freePort()
	if err != nil {
		return err
	}
	stop, err := listen(ctx, port, nil, *python, *weatherPy, port, "let-me-in")
	if err != nil {
		return err
	}
	defer stop()
	stranger := &mcptool.Server{Name: "stranger", URL: "http://127.0.0.1:" + port + "/sse"}
	defer stranger.Close()
	if _, err := stranger.Tools(ctx); err == nil {
		return fmt.Errorf("the server let in who has no token")
	}
	ok("weather: refused without the header")

	s := &mcptool.Server{
		Name:   "weather",
		URL:    stranger.URL,
		Header: http.Header{"Authorization": {"Bearer let-me-in"}},
	}
	defer s.Close()
	return weather(ctx, s)
}

// celsius is what the server makes of a location.
func celsius(location string) float64 {
	sum := 0
	for _, b := range []byte(location) {
		sum += int(b)
	}
	return float64(sum%400)/10 - 5
}

// weather uses all that the server offers.
func weather(ctx context.Context, s *mcptool.Server) error {
	who := answers(map[string]any{"unit": "fahrenheit"}, mcptool.ElicitAccept, mcptool.ElicitDecline)
	s.Elicit = who.elicit
	steps := []step{
		{"get_weather_in_unit", `{"location":"Nice"}`, says(fmt.Sprintf("%.1f fahrenheit", celsius("Nice")*9/5+32))},
		{"get_weather_in_unit", `{"location":"Nice"}`, says("no unit: decline")},
		{"get_weather", `{"location":"Paris"}`, both(structured("location", "Paris"), structured("celsius", celsius("Paris")))},
		{"get_forecast", `{"location":"Oslo","days":3}`, says(fmt.Sprint(celsius("Oslo") + 3))},
		{"get_storm_warning", `{"location":"Rome"}`, fails("no storm station near Rome")},
		{"get_weather", `{}`, fails("location")},
	}
	s.LogLevel = mcptool.LogInfo
	if err := s.Connect(ctx); err != nil {
		return err
	}
	ok("%s: protocol version %s", s.Name, s.Status().ProtocolVersion)
	var n news
	if err := play(ctx, s, steps, n.watch); err != nil {
		return err
	}
	if err := n.heard(s, 3, 3); err != nil {
		return err
	}
	if err := read(ctx, s, shelf{
		resources: 1,
		templates: 1,
		texts:     map[string]string{"weather://stations": "London", "weather://Kiel/now": fmt.Sprintf("%.1f", celsius("Kiel"))},
		missing:   "weather://",
		prompts:   []asking{{"pack", map[string]string{"location": "Oslo", "days": "3"}, "What do I pack for 3 days in Oslo?"}},
	}); err != nil {
		return err
	}
	return allPlayed(ctx, s, steps, nil)
}
