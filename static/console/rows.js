// Tables of rows: "Add a row" copies the last row, empties it and numbers it on. Without this, save to get new rows.
document.addEventListener("DOMContentLoaded", () => {
  for (const rows of document.querySelectorAll("[data-rows]")) {
    const button = rows.querySelector(".console-add");
    const body = rows.querySelector("tbody");
    button.hidden = false;
    button.addEventListener("click", () => {
      const row = body.lastElementChild.cloneNode(true);
      const number = body.children.length;
      for (const cell of row.querySelectorAll("input, select")) {
        cell.name = cell.name.replace(/-\d+-([^-]*)$/, `-${number}-$1`);
        cell.setAttribute("aria-label", cell.getAttribute("aria-label").replace(/\d+$/, number + 1));
        if (cell.type === "text") cell.value = "";
        else if (cell.type === "checkbox") cell.checked = cell.defaultChecked;
        else cell.selectedIndex = 0;
      }
      body.append(row);
      row.querySelector("input, select").focus();
    });
  }
});
