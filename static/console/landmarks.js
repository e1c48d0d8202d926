// The theme has no main landmark; people who jump by landmarks need one.
document.addEventListener("DOMContentLoaded", () => {
  const main = document.getElementById("main") || document.getElementById("page");
  if (main) main.setAttribute("role", "main");
});
