document.documentElement.classList.add("js");
try {
  const theme = localStorage.getItem("mtmbench-theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch { /* a page from a file may have no storage */ }
