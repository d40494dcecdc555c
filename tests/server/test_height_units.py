"""The unit of an elevation model over HTTP, as an edit takes it."""

import pytest

from tests.server.conftest import in_type, scene, write


def asked(client, path):
    return client.post("/height-units", json={"raster": {"path": str(path)}})


@pytest.mark.parametrize(
    ("unit", "crs", "metres", "said"),
    [
        ("m", "EPSG:32617", 1.0, ""),
        ("", "EPSG:32617", 1.0, "metres were assumed"),
        ("ft", "EPSG:32617", 0.3048, "in feet"),
        ("US survey foot", "EPSG:32617", 1200 / 3937, "US survey feet"),
        ("", "EPSG:26917+6360", 1200 / 3937, "US survey feet"),
        ("cm", "EPSG:32617", 0.01, "units of 0.01 m"),
    ],
)
def test_what_the_file_says(client, tmp_path, unit, crs, metres, said):
    path = write(tmp_path / "dem.tif", in_type(scene(1, 40, 40), "float32"), crs=crs)
    if unit:
        import rasterio

        with rasterio.open(path, "r+") as model:
            model.units = (unit,)
    answer = asked(client, path)
    assert answer.status_code == 200
    found = answer.get_json()
    assert found["metres"] == pytest.approx(metres, rel=1e-9) and said in found.get("note", "")


def test_what_is_no_length_or_not_to_be_read(client, tmp_path):
    import rasterio

    path = write(tmp_path / "dem.tif", in_type(scene(1, 40, 40), "float32"))
    with rasterio.open(path, "r+") as model:
        model.units = ("kelvin",)
    answer = asked(client, path)
    assert answer.status_code in (400, 422) and "kelvin" in answer.get_json()["detail"]
    assert asked(client, "/etc/passwd").status_code == 403
    assert asked(client, tmp_path / "none.tif").status_code in (404, 422)
