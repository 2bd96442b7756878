from .data_files import data_folder as data_folder

__all__: list[str]
