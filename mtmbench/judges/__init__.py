"""Questions become answers: clients, prompts, replies, the ledger, budgets and limits."""
