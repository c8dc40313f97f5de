"""The judge clients that come with mtmbench: language models, proxies, people, scripts."""
