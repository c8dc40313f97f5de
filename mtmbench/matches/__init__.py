"""Two models before a judge: options, schedules, controls, rewritten topics, audit."""
